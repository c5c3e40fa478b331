package draft

// Carry gives tests the citations of an edited text.
var Carry = carry
