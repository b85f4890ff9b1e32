"""What a community organises, and what came of it: events, campaigns, discussions, the way from sign-up to staying."""
