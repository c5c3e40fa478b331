package cite

// Weights of the logistic model, the constant first; made by tools/verify.
var (
	withoutCosine = []float64{-6.840, 3.206, 4.270, -1.033, -1.176, -0.007, 3.711, -0.655, -0.592}
	withCosine    = []float64{-7.586, 2.733, 3.990, -1.150, -1.004, -0.012, 3.842, -0.662, -0.746, 2.074}
)
