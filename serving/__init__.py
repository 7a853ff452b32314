"""What answers: the gateway, the embedded model server, and the contracts they share with training."""
