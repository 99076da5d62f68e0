"""Where the stages meet: read, call them in order, write."""
