"""Maps of published weights to the names of this package: state dict in, state dict out."""
