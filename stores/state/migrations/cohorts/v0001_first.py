"""The first schema of the sealed ticks."""

import sqlalchemy as sa
from alembic import op

revision = "cohorts_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "sealed_ticks",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("tick", sa.BigInteger(), nullable=False),
        sa.Column("cohort", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("device", "tick"),
        sqlite_with_rowid=False,
    )
    op.create_index("sealed_ticks_by_cohort", "sealed_ticks", ["cohort", "tick", "records"])
