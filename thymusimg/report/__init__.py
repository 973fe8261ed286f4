"""One HTML file that a reader opens anywhere."""
