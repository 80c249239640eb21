"""Commands a person on call types: score a file, move the champion, read the prediction log. They print."""
