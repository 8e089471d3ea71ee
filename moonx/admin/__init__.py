"""The admin of what no app owns: users and beat's schedule."""
