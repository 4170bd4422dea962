#!/usr/bin/env bash
# Compares every #include between root folders with the layer table in cmake/layers.cmake, and refuses
# umbrella headers of LibTorch. Exit 1 with one line for each violation.
set -euo pipefail
cd "$(dirname "$0")/.."
layers=$(sed -n 's/^set(TORII_LAYERS \(.*\))$/\1/p' cmake/layers.cmake)
bad=0
for layer in $layers; do
  allowed=" $layer $(sed -n "s/^set(TORII_LAYER_$layer \"\{0,1\}\([^\"]*\)\"\{0,1\})\$/\1/p" cmake/layers.cmake) "
  while IFS=: read -r file line text; do
    [ -n "$file" ] || continue
    folder=$(sed -E 's/.*#include "([a-z_]+)\/.*/\1/' <<<"$text")
    case " $layers " in *" $folder "*) ;; *) continue ;; esac
    case "$allowed" in *" $folder "*) ;; *)
      echo "$file:$line: $layer must not include $folder/"; bad=1 ;;
    esac
  done < <(grep -rnE '^#include "[a-z_]+/' "$layer" --include='*.h' --include='*.cc' || true)
done
if grep -rnE '#include [<"](torch/torch\.h|torch/nn)|at::hasCUDA' $layers; then
  echo "umbrella headers of LibTorch and at::hasCUDA are not used here"; bad=1
fi
exit $bad
