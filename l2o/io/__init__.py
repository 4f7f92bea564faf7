"""Files, settings and seeds: what every other room builds on."""
