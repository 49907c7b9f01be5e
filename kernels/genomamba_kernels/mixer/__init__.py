"""The mixer as one operation that recomputes in backward: the specification, both passes, and the operator."""
