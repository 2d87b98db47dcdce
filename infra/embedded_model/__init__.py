"""Training code of the bundled tiny language model: corpus, network, training, evaluation, release."""
