"""Cohorts: who belongs to a set of users that people name, define or bring."""
