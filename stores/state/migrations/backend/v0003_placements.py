"""In which zone each window of a device counts; what stands anywhere when this is made always stood there."""

import sqlalchemy as sa
from alembic import op

revision = "backend_0003"
down_revision = "backend_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it, with the place of every device that was ever known."""
    op.create_table(
        "placements",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("device", "from_ns"),
    )
    op.execute(
        "INSERT INTO placements (device, from_ns, site, zone) "
        "SELECT devices.id, 0, sites.id, sites.zone FROM devices JOIN sites ON sites.id = devices.site"
    )
