"""The page: the triangle first, then curves, sign-ups, flags and health. Made on the server; live by a small script."""
