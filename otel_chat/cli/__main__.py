"""`python -m otel_chat.cli`."""

from otel_chat.cli import main

if __name__ == "__main__":
    main()
