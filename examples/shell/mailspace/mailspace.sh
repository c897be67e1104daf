#!/bin/sh
# How full the file systems are on which mail lies: a line of JSON for each figure of each folder that is given.
#
# A spool of small messages runs out of inodes before it runs out of bytes, so both are told. Needs df and awk.
set -eu

[ $# -gt 0 ] || { echo "usage: mailspace.sh FOLDER…" >&2; exit 2; }

for folder; do
    # A folder is a value in quotes; what would end them has no place in the name of one.
    case $folder in *[\"\\]*) echo "no such name: $folder" >&2; exit 2 ;; esac
    df -P -k -- "$folder" | awk -v folder="$folder" '
        function tell(metric, value, unit) {
            printf "{\"metric\":\"%s\",\"value\":%s,\"unit\":\"%s\",\"labels\":{\"folder\":\"%s\"},\"help\":\"%s\"}\n", metric, value, unit, folder, help[metric]
        }
        BEGIN { help["space_free"] = "Bytes that mail can still take."; help["space_used"] = "Part of the space that is taken." }
        NR == 2 {
            tell("space_free", sprintf("%.0f", $4 * 1024), "bytes")
            if ($3 + $4 > 0) tell("space_used", $3 / ($3 + $4), "ratio")
        }'
    # Some file systems have no fixed number of inodes, and say 0 or a dash: what is not known is not told.
    df -P -i -- "$folder" | awk -v folder="$folder" '
        NR == 2 && $2 > 0 {
            printf "{\"metric\":\"inodes_used\",\"value\":%s,\"unit\":\"ratio\",\"labels\":{\"folder\":\"%s\"},\"help\":\"Part of the inodes that is taken.\"}\n", $3 / $2, folder
        }'
done
