"""The demo: a whole desk against the emulator on a scratch home. Things break on purpose; then all is counted."""
