"""Records of training runs: code revision, histories, logs and experiment tracking."""
