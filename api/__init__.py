"""What faces the world: webhooks, JSON API, customer page, console, the `recorder` command."""
