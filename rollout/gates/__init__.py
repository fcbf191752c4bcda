"""Question and answer: at the prompt, from an answers file, from another terminal."""
