#!/usr/bin/env bash
# A file is at most 400 lines long and a function at most 60, signature and braces included; a folder has at most 40
# files. Functions are found by the layout that tools/format.sh gives: one ends with a "}" alone in the column in which it
# began, 0 or 2 in a class. Exit 1 with one line for each violation.
set -euo pipefail
cd "$(dirname "$0")/.."
layers=$(sed -n 's/^set(TORII_LAYERS \(.*\))$/\1/p' cmake/layers.cmake)
crowded=$(find $layers tests bench -type f -printf '%h\n' | sort | uniq -c |
  awk '$1 > 40 { printf "%s: %d files, at most 40\n", $2, $1 }')
if [ -n "$crowded" ]; then echo "$crowded"; exit 1; fi
find $layers tests bench \( -name '*.cc' -o -name '*.h' -o -name '*.cu' \) -print0 | sort -z |
  xargs -0 awk -v most_file=400 -v most_function=60 '
    function ends(begin) {
      if (begin > 0 && FNR - begin + 1 > most_function) {
        printf "%s:%d: a function of %d lines, at most %d\n", FILENAME, begin, FNR - begin + 1, most_function
        bad = 1
      }
    }
    FNR == 1 { top = member = in_class = 0 }
    FNR == most_file + 1 { printf "%s: longer than %d lines\n", FILENAME, most_file; bad = 1 }
    /^[A-Za-z_~[]/ { top = FNR; in_class = /^(class|struct|union|enum|template)/ }
    /^ ? ?(class|struct) / { member = 0 }
    /^  [A-Za-z_~[]/ { member = FNR }
    /^}$/ { ends(top); top = 0 }
    /^  }$/ && in_class { ends(member); member = 0 }
    END { exit bad }'
