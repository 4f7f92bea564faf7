"""Games between small networks: each instance trains networks of its own."""
