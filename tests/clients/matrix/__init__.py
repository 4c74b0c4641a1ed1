"""The matrix: every client by every row, each cell against a daemon of its own."""
