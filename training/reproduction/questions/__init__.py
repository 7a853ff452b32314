"""Questions of the course documents with our answers, one module for each document."""
