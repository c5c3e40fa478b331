package cite

// Weights of the logistic model, the constant first; made by tools/verify.
var (
	withoutCosine = []float64{-6.922, 3.294, 4.301, -1.090, -1.175, -0.006, 3.715, -0.654, -0.592}
	withCosine    = []float64{-7.681, 2.842, 4.030, -1.222, -1.002, -0.010, 3.848, -0.662, -0.746, 2.063}
)
