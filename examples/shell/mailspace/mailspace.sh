#!/bin/sh
# How full the file systems are on which mail lies: a line of JSON for each figure of each folder that is given.
#
# A spool of small messages runs out of inodes before it runs out of bytes, so both are told. Needs GNU's stat, and awk.
set -eu

[ $# -gt 0 ] || { echo "usage: mailspace.sh FOLDER…" >&2; exit 2; }

for folder; do
    # A folder is a value in quotes; what would end them has no place in the name of one.
    case $folder in *[\"\\]*) echo "no such name: $folder" >&2; exit 2 ;; esac
    # Blocks: all, free, free for those who are not root, bytes of each; inodes: all, free.
    figures=$(stat --file-system --format='%b %f %a %S %c %d' -- "$folder")
    echo "$figures" | awk -v folder="$folder" '
        function tell(metric, value, unit, help) {
            printf "{\"metric\":\"%s\",\"value\":%s,\"unit\":\"%s\",\"labels\":{\"folder\":\"%s\"},\"help\":\"%s\"}\n", metric, value, unit, folder, help
        }
        {
            taken = $1 - $2
            tell("space_free", sprintf("%.0f", $3 * $4), "bytes", "Bytes that mail can still take.")
            if (taken + $3 > 0) tell("space_used", taken / (taken + $3), "ratio", "Part of the space that is taken.")
            # Some file systems have no fixed number of inodes: what is not known is not told.
            if ($5 > 0) tell("inodes_used", ($5 - $6) / $5, "ratio", "Part of the inodes that is taken.")
        }'
done
