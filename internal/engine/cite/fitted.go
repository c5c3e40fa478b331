package cite

// Weights of the logistic model, the constant first; made by tools/verify.
var (
	withoutCosine = []float64{-9.419, 0.489, -0.353, 2.455, 2.295, -1.033, 2.904, 0.873, 2.558, 0.852, -0.676, 3.609, 1.838, 0.843, 0.012}
	withCosine    = []float64{-11.283, 0.819, -1.157, 2.376, 1.816, -0.359, 3.015, 0.949, 2.257, 0.800, -0.667, 3.495, 2.826, 0.903, -0.133, 2.835}
)
