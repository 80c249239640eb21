"""Files that commit a728a4f wrote, before the packages were split; README.md says how."""
