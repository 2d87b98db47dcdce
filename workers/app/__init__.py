"""The composition root: the model, rewards and bus of a process are put together here, and it is told to stop."""
