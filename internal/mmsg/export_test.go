package mmsg

// SinglyFor is for the tests alone.
const SinglyFor = singlyFor
