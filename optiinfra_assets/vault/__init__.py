"""Secrets of accounts: master keys, envelope encryption, stored credentials and their audit log."""
