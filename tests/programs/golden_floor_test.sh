#!/usr/bin/env bash
# Real data, from files to metrics: the popularity ranking reproduces known numbers, which proves reader, split, mask,
# ties and metrics; a short training stays above a floor. The data lie beside the source tree (../shared/data), and
# MovieLens-100K where tools/quickstart.sh puts it.
. "$(dirname "$0")/support.bash"

shared=$source_dir/../shared/data
movielens=$source_dir/quickstart/movielens-100k/raw

# metric SECTION NAME: of the last run's JSON; SECTION is model or popularity.
metric() { sed -n "/^  \"$1\": {/,/^  }/p" "$out" | sed -nE "s|^ *\"$2\": ([-+0-9.e]+),?$|\1|p"; }

# train NAME DATA [OPTION...]: DATA: the data configuration.
train() {
  local name=$1 data=$2
  shift 2
  printf 'run_dir: "%s/run" data { prepared_dir: "%s/prepared" %s }' "$name" "$name" "$data" >"$name.txtpb"
  must timeout 300 "$torii" train --config "$name.txtpb" --json --set 'train.best_metric="recall@20"' "$@"
}

# popularity NAME METRIC=VALUE...: of the last run, to six digits.
popularity() {
  local name=$1 expected got
  shift
  for expected in "$@"; do
    got=$(metric popularity "${expected%=*}")
    check "$name: popularity ${expected%=*} is $got, expected ${expected#*=}" \
      awk -v got="$got" -v want="${expected#*=}" 'BEGIN { exit got == "" || got - want > 1e-6 || want - got > 1e-6 }'
  done
  printf '%s: popularity recall@20 %.6f\n' "$name" "$(metric popularity recall@20)"
}

# above NAME METRIC FLOOR: the model of the last run.
above() {
  local got
  got=$(metric model "$2")
  printf '%s: %s %.6f, floor %s\n' "$1" "$2" "$got" "$3"
  check "$1: $2" awk -v got="$got" -v floor="$3" 'BEGIN { exit !(got >= floor) }'
}

if [ -d "$shared" ]; then
  folder=$shared/ml-1m-ultragcn
  train ml-1m "interactions { path: '$folder/train.parquet' } test_path: '$folder/test.parquet'" --set train.max_steps=1
  popularity ml-1m recall@10=0.067726 ndcg@10=0.110746 recall@20=0.116084 ndcg@20=0.117600 precision@20=0.077823 \
    hit_rate@20=0.648788 recall@50=0.204822 ndcg@50=0.141932 mrr=0.245940

  folder=$shared/book-crossing
  train book-crossing "interactions { path: '$folder/train.parquet' } test_path: '$folder/test.parquet'
    items { path: '$folder/items.parquet' id: 'item_id' }" --set train.max_steps=1
  popularity book-crossing recall@10=0.019323 ndcg@10=0.022753 recall@20=0.030688 ndcg@20=0.025818 \
    precision@20=0.012016 hit_rate@20=0.182281 recall@50=0.055523 ndcg@50=0.033099 mrr=0.063525

  folder=$shared/amazon-beauty-sequences
  data="interactions { path: '$folder/train.parquet' } test_path: '$folder/test.parquet'
    valid_path: '$folder/valid.parquet' items { path: '$folder/items.parquet' id: 'item_id' }"
  train beauty "$data" --set train.max_steps=1
  popularity beauty recall@10=0.011537 ndcg@10=0.005456 recall@20=0.020301 ndcg@20=0.007586 precision@20=0.001015 \
    hit_rate@20=0.020301 recall@50=0.031928 ndcg@50=0.009898 mrr=0.005595
  train beauty "$data" --set train.max_steps=1 --set eval.part=VALID
  popularity "beauty, validation" recall@10=0.016366 ndcg@10=0.007962 recall@20=0.027009 ndcg@20=0.010567 \
    precision@20=0.001350 hit_rate@20=0.027009 recall@50=0.044583 ndcg@50=0.014061 mrr=0.007899

  folder=$shared/amazon-health
  train health "interactions { path: '$folder/train.parquet' } test_path: '$folder/test.parquet'
    users { path: '$folder/users.parquet' id: 'user_id' } items { path: '$folder/items.parquet' id: 'item_id' }" \
    --set train.epochs=4 --set train.global_batch=1024 --set model.scorer.inner_product.temperature=0.2 --set tables.learning_rate=0.1
  popularity health recall@10=0.066966 ndcg@10=0.065355 recall@20=0.100797 ndcg@20=0.077497 precision@20=0.027381 \
    hit_rate@20=0.390578 recall@50=0.171494 ndcg@50=0.101672 mrr=0.147255
  above health recall@20 0.13
  above health ndcg@20 0.095
  must timeout 300 "$torii" train --config "$source_dir/bench/amazon_health.txtpb" --json --set run_dir=health_gate \
    --set data.prepared_dir=health_gate_data --set "data.interactions.path=[$folder/train.parquet]" \
    --set "data.test_path=[$folder/test.parquet]"
  above "health, the gate" recall@20 0.180
  above "health, the gate" ndcg@20 0.135
else
  skip "no data sets at $shared"
fi

if [ -e "$movielens/interactions.parquet" ]; then
  data="interactions { path: '$movielens/interactions.parquet' item: 'movie_id' time: 'timestamp' }
    users { path: '$movielens/users.parquet' id: 'user_id' } items { path: '$movielens/items.parquet' id: 'movie_id' }"
  train movielens-last-one "$data split { last_k: 1 }" --set train.max_steps=1
  popularity "MovieLens-100K, last one" recall@10=0.085896 recall@20=0.126193 recall@50=0.198303 ndcg@10=0.044913 \
    ndcg@20=0.055030 ndcg@50=0.069277 precision@10=0.008590 precision@20=0.006310 mrr=0.041612
  train movielens "$data split { last_fraction: 0.1 }" --set train.epochs=3 --set train.global_batch=1024 \
    --set 'model.user={ join { sum {} } history { length: 50 recency { half_life: 10 } } }' \
    --set 'model.item={ join { sum {} } }' --set tables.learning_rate=0.05
  popularity "MovieLens-100K, last tenth" recall@10=0.071065 recall@20=0.106735 recall@50=0.204755 ndcg@10=0.079497 \
    ndcg@20=0.087081 ndcg@50=0.120590 precision@10=0.060339 precision@20=0.047349 hit_rate@10=0.366914 \
    hit_rate@20=0.470838 mrr=0.167836
  above "MovieLens-100K, last tenth" recall@20 0.24
  above "MovieLens-100K, last tenth" ndcg@20 0.18
else
  skip "no MovieLens-100K at $movielens (tools/quickstart.sh fetches it)"
fi
finish
