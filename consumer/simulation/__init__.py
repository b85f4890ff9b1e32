"""A seeded community: who is in it, what they do, what their messages look like. consumer/simulator.py is its front."""
