"""Checkers of certificates and transcripts; they share no code with what they check."""
