"""What Alembic runs: the migrations of one owner on the connection that `runner` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
