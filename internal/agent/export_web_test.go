package agent

// Patiently and PlaceOf are for tests.
var (
	Patiently = patiently
	PlaceOf   = placeOf
)
