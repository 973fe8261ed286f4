"""Speed and memory, measured in one run beside the floor and beside what people script today."""
