"""What Alembic runs: the revisions on the connection that :func:`migrate` opened, in its transaction."""

from alembic import context

from sorby.station.database.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    transactional_ddl=True,
)
context.run_migrations()
