#!/usr/bin/env bash
# Compares every #include with the tables in cmake/layers.cmake: root folders (layers), and sub-folders (rooms) of the
# layers that list theirs. Refuses umbrella headers of LibTorch. Exit 1 with one line for each violation.
set -euo pipefail
cd "$(dirname "$0")/.."
layers=$(sed -n 's/^set(TORII_LAYERS \(.*\))$/\1/p' cmake/layers.cmake)
bad=0
grep -rnE '^#include "[a-z_0-9]+/' $layers --include='*.h' --include='*.cc' --include='*.cu' |
  awk -F: '
    # set(TORII_LAYER_x a b), set(TORII_ROOMS_x a b), set(TORII_ROOM_x_y a b): "kind x y" may include what follows.
    function room(path, parts) { return split(path, parts, "/") > 2 ? parts[2] : "top" }
    NR == FNR {
      if ($0 !~ /^set\(TORII_(LAYERS|LAYER_|ROOMS_|ROOM_)/) next
      gsub(/^set\(TORII_|"|\)$/, ""); name = $1; sub(/ .*/, "", name)
      rest = $0; sub(/^[^ ]+ ?/, "", rest); table[name] = " " rest " "
      next
    }
    {
      file = $1; split(file, from, "/"); layer = from[1]
      split($3, quoted, "\""); included = quoted[2]; split(included, to, "/")
      if (index(table["LAYERS"], " " to[1] " ") == 0) next
      if (to[1] != layer) {
        if (index(table["LAYER_" layer], " " to[1] " ") == 0) {
          print file ":" $2 ": " layer " must not include " to[1] "/"; bad = 1
        }
        next
      }
      if (!(("ROOMS_" layer) in table) || included ~ /\.pb\.h$/) next
      here = room(file); there = room(included)
      if (index(table["ROOMS_" layer], " " here " ") == 0) {
        print file ": " layer "/" here " is not in the table of rooms"; bad = 1
      } else if (here != there && index(table["ROOM_" layer "_" here], " " there " ") == 0) {
        print file ":" $2 ": " layer "/" here " must not include " included; bad = 1
      }
    }
    END { exit bad }' cmake/layers.cmake - || bad=1
if grep -rnE '#include [<"](torch/torch\.h|torch/nn)|at::hasCUDA' $layers; then
  echo "umbrella headers of LibTorch and at::hasCUDA are not used here"; bad=1
fi
exit $bad
