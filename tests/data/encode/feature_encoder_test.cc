#include "data/encode/feature_encoder.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using testing::Doubles;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using testing::Int64s;
using ::testing::IsEmpty;
using testing::ListsOf;
using testing::Strings;

Column ColumnFrom(std::shared_ptr<arrow::Array> array) {
  return {std::move(array), std::make_shared<const std::string>("side.parquet"), "c", 1};
}

// An encoder that has seen `chunks`, and their encoded rows, with one missing row after them.
struct Encoded {
  std::unique_ptr<FeatureEncoder> encoder;
  EncodedRows rows;
};

absl::StatusOr<Encoded> TryEncode(const std::string& kind,
                                  const std::vector<std::shared_ptr<arrow::Array>>& chunks) {
  Feature feature;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString("column: \"c\" " + kind, &feature));
  Encoded encoded{MakeFeatureEncoder(feature), {}};
  for (const auto& chunk : chunks) {
    const Column column = ColumnFrom(chunk);
    TORII_RETURN_IF_ERROR(encoded.encoder->Observe({&column, 1}));
  }
  TORII_RETURN_IF_ERROR(encoded.encoder->Finish());
  for (const auto& chunk : chunks) {
    const Column column = ColumnFrom(chunk);
    TORII_RETURN_IF_ERROR(encoded.encoder->Encode({&column, 1}, &encoded.rows));
  }
  encoded.encoder->EncodeMissing(&encoded.rows);
  return encoded;
}

Encoded Encode(const std::string& kind, const std::vector<std::shared_ptr<arrow::Array>>& chunks) {
  auto encoded = TryEncode(kind, chunks);
  EXPECT_TRUE(encoded.ok()) << encoded.status();
  return *std::move(encoded);
}

TEST(CategoricalEncoderTest, NumbersValuesByFrequencyThenValue) {
  const Encoded encoded =
      Encode("categorical {}", {Strings({"b", "c", "a", std::nullopt}), Strings({"c", "", "b"})});

  const PreparedFeature& info = encoded.encoder->info();
  EXPECT_EQ(info.kind(), PreparedFeature::SINGLE);
  EXPECT_EQ(info.rows(), 4);
  EXPECT_EQ(info.missing(), 2);
  EXPECT_THAT(info.value(), ElementsAre("b", "c", "a"));
  EXPECT_THAT(encoded.rows.values, ElementsAre(1, 2, 3, 0, 2, 0, 1, 0));
}

TEST(CategoricalEncoderTest, RareValuesAndThoseBeyondTheLimitAreUnknown) {
  const std::vector<std::shared_ptr<arrow::Array>> chunks = {Int64s({7, 7, 7, 8, 8, 9, 9, 1})};

  EXPECT_THAT(Encode("categorical { min_count: 2 }", chunks).rows.values,
              ElementsAre(1, 1, 1, 2, 2, 3, 3, 0, 0));
  const Encoded limited = Encode("categorical { max_values: 1 }", chunks);
  EXPECT_EQ(limited.encoder->info().rows(), 2);
  EXPECT_THAT(limited.rows.values, ElementsAre(1, 1, 1, 0, 0, 0, 0, 0, 0));
}

TEST(CategoricalEncoderTest, ListsKeepRepeatsAndTellEmptyFromMissing) {
  const Encoded encoded =
      Encode("categorical {}", {ListsOf<arrow::Int64Builder, int64_t>(
                                   {{{5, 3, 5}}, std::vector<int64_t>{}, std::nullopt, {{3}}})});

  EXPECT_EQ(encoded.encoder->info().kind(), PreparedFeature::BAG);
  EXPECT_THAT(encoded.rows.lengths, ElementsAre(3, 0, 1, 1, 1));
  // 3 and 5 occur twice each: the smaller one is row 1.
  EXPECT_THAT(encoded.rows.values, ElementsAre(2, 1, 2, 0, 1, 0));
  EXPECT_EQ(encoded.encoder->info().missing(), 1);
}

TEST(CategoricalEncoderTest, SplitsTextAtTheSeparatorWithoutEmptyPieces) {
  const Encoded encoded = Encode("categorical { separator: \"|\" }",
                                 {Strings({"Action|Comedy", "Comedy||", std::nullopt, "|"})});

  EXPECT_THAT(encoded.encoder->info().value(), ElementsAre("Comedy", "Action"));
  EXPECT_THAT(encoded.rows.lengths, ElementsAre(2, 1, 1, 1, 1));
  EXPECT_THAT(encoded.rows.values, ElementsAre(2, 1, 1, 0, 0, 0));
}

TEST(CategoricalEncoderTest, HashesIntoTheRowsAskedFor) {
  const Encoded encoded = Encode("categorical { hash_rows: 5 }",
                                 {Strings({"a", "b", "c", "d", "e", "f", "g", std::nullopt, "a"})});

  const std::vector<int32_t>& rows = encoded.rows.values;
  EXPECT_EQ(encoded.encoder->info().rows(), 6);
  EXPECT_THAT(encoded.encoder->info().value(), IsEmpty());
  EXPECT_EQ(rows[0], rows[8]);
  EXPECT_EQ(rows[7], 0);
  EXPECT_TRUE(std::all_of(rows.begin(), rows.begin() + 7,
                          [](int32_t row) { return row >= 1 && row <= 5; }));
  // Stable for ever: these rows are in prepared datasets and checkpoints.
  EXPECT_GT(std::set<int32_t>(rows.begin(), rows.end()).size(), 2U);
}

TEST(NumericEncoderTest, StandardizesAndMarksMissing) {
  const Encoded encoded = Encode("numeric {}", {Doubles({2, 4, std::nullopt}), Doubles({6, 8})});

  const PreparedFeature& info = encoded.encoder->info();
  EXPECT_EQ(info.kind(), PreparedFeature::DENSE);
  EXPECT_EQ(info.width(), 2);
  EXPECT_EQ(info.missing(), 1);
  EXPECT_DOUBLE_EQ(info.mean(), 5);
  EXPECT_DOUBLE_EQ(info.stddev(), std::sqrt(5.0));
  const float z = 1 / std::sqrt(5.0F);
  EXPECT_THAT(encoded.rows.dense, ElementsAre(FloatEq(-3 * z), 0, FloatEq(-z), 0, 0, 1, FloatEq(z),
                                              0, FloatEq(3 * z), 0, 0, 1));
}

TEST(NumericEncoderTest, ConstantColumnsGiveZero) {
  EXPECT_THAT(Encode("numeric {}", {Int64s({3, 3})}).rows.dense, ElementsAre(0, 0, 0, 0, 0, 1));
  EXPECT_THAT(Encode("numeric {}", {Int64s({std::nullopt})}).rows.dense, ElementsAre(0, 1, 0, 1));
}

TEST(NumericEncoderTest, Log1pIsStandardizedToo) {
  const Encoded encoded =
      Encode("numeric { transform: LOG1P }", {Doubles({0, std::expm1(2.0), std::expm1(4.0)})});

  EXPECT_NEAR(encoded.encoder->info().mean(), 2, 1e-12);
  EXPECT_NEAR(encoded.rows.dense[0], -std::sqrt(1.5), 1e-6);
  EXPECT_NEAR(encoded.rows.dense[2], 0, 1e-6);
}

TEST(NumericEncoderTest, QuantilesGoFromZeroToOneWithPowers) {
  const Encoded encoded = Encode("numeric { transform: QUANTILE buckets: 4 }",
                                 {Doubles({10, 0, 40, 20, 30, std::nullopt})});

  EXPECT_EQ(encoded.encoder->info().width(), 4);
  EXPECT_THAT(encoded.encoder->info().quantile(), ElementsAre(0, 10, 20, 30, 40));
  std::vector<float> q;
  for (size_t i = 0; i < encoded.rows.dense.size(); i += 4) {
    q.push_back(encoded.rows.dense[i]);
    EXPECT_FLOAT_EQ(encoded.rows.dense[i + 1], q.back() * q.back());
    EXPECT_FLOAT_EQ(encoded.rows.dense[i + 2], std::sqrt(q.back()));
  }
  EXPECT_THAT(q, ElementsAre(0.25F, 0, 1, 0.5F, 0.75F, 0, 0));
  EXPECT_EQ(encoded.rows.dense[23], 1);
}

TEST(NumericEncoderTest, EqualQuantilesMeetInTheMiddle) {
  const Encoded encoded =
      Encode("numeric { transform: QUANTILE buckets: 4 }", {Doubles({0, 0, 0, 0, 5, 5, 5, 5, 9})});

  // Quantiles 0 0 5 5 9: zero is between places 0 and 1 of 4, five between 2 and 3.
  EXPECT_FLOAT_EQ(encoded.rows.dense[0], 0.125F);
  EXPECT_FLOAT_EQ(encoded.rows.dense[16], 0.625F);
  EXPECT_FLOAT_EQ(encoded.rows.dense[32], 1);
}

TEST(NumericEncoderTest, BucketsHoldEqualSharesAndMissingIsRowZero) {
  const Encoded encoded =
      Encode("numeric { transform: BUCKETS buckets: 2 }", {Doubles({1, 2, 3, 4, std::nullopt})});

  EXPECT_EQ(encoded.encoder->info().kind(), PreparedFeature::SINGLE);
  EXPECT_EQ(encoded.encoder->info().rows(), 3);
  EXPECT_THAT(encoded.rows.values, ElementsAre(1, 1, 2, 2, 0, 0));
  // All alike: one bucket.
  const Encoded constant = Encode("numeric { transform: BUCKETS }", {Doubles({7, 7})});
  EXPECT_EQ(constant.encoder->info().rows(), 2);
  EXPECT_THAT(constant.rows.values, ElementsAre(1, 1, 0));
}

TEST(NumericEncoderTest, SmallAndCloseNumbersAreNotConstant) {
  const std::vector<float> tiny = Encode("numeric {}", {Doubles({1e-20, 3e-20})}).rows.dense;
  EXPECT_THAT(tiny, ElementsAre(FloatNear(-1, 1e-5F), 0, FloatNear(1, 1e-5F), 0, 0, 1));
  const std::vector<float> close = Encode("numeric {}", {Doubles({1e9, 1e9 + 1e-3})}).rows.dense;
  EXPECT_THAT(close, ElementsAre(FloatNear(-1, 1e-3F), 0, FloatNear(1, 1e-3F), 0, 0, 1));
}

TEST(NumericEncoderTest, RefusesNumbersWhoseStatisticsAreNotFinite) {
  for (const char* kind : {"numeric {}", "numeric { transform: QUANTILE }"}) {
    const auto encoded = TryEncode(kind, {Doubles({-1e308, 1e308})});
    ASSERT_FALSE(encoded.ok()) << kind;
    EXPECT_THAT(std::string(encoded.status().message()),
                HasSubstr("side.parquet: feature \"c\": the mean and deviation of its values, from "
                          "-1e+308 to 1e+308"));
  }
  EXPECT_FALSE(TryEncode("numeric {}", {Doubles({1e-200, 3e-200})}).ok());
}

TEST(VectorEncoderTest, RefusesNumbersBeyondFloat32) {
  const auto encoded =
      TryEncode("vector {}", {ListsOf<arrow::DoubleBuilder, double>({{{1, 1e39}}})});
  ASSERT_FALSE(encoded.ok());
  EXPECT_THAT(
      std::string(encoded.status().message()),
      HasSubstr("side.parquet:1: column \"c\": value 1 of the vector, 1e+39, does not fit"));
}

TEST(NumericEncoderTest, RefusesInfinity) {
  const auto encoded = TryEncode("numeric {}", {Doubles({1, INFINITY})});
  ASSERT_FALSE(encoded.ok());
  EXPECT_THAT(std::string(encoded.status().message()),
              HasSubstr("side.parquet:2: column \"c\": value is infinite"));
}

TEST(VectorEncoderTest, TakesTheWidthFromTheFirstVectorAndNormalizes) {
  const Encoded encoded =
      Encode("vector { normalize: true }",
             {ListsOf<arrow::FloatBuilder, float>({std::nullopt, {{3, 4}}, {{0, 0}}})});

  EXPECT_EQ(encoded.encoder->info().width(), 2);
  EXPECT_TRUE(encoded.encoder->info().vector());
  EXPECT_EQ(encoded.encoder->info().missing(), 1);
  EXPECT_THAT(encoded.rows.dense,
              ElementsAre(0, 0, FloatNear(0.6F, 1e-7F), FloatNear(0.8F, 1e-7F), 0, 0, 0, 0));
}

TEST(VectorEncoderTest, ReadsVectorsWrittenAsText) {
  const Encoded encoded = Encode("vector {}", {Strings({"[0.5, -2]", "1 2e3"})});
  EXPECT_THAT(encoded.rows.dense, ElementsAre(0.5F, -2, 1, 2000, 0, 0));
}

TEST(VectorEncoderTest, RefusesAnotherLengthAndNan) {
  const auto ragged =
      TryEncode("vector {}", {ListsOf<arrow::DoubleBuilder, double>({{{1, 2}}, {{1}}})});
  ASSERT_FALSE(ragged.ok());
  EXPECT_THAT(std::string(ragged.status().message()),
              HasSubstr("side.parquet:2: column \"c\": the vector has 1 values, expected 2"));
  const auto nan =
      TryEncode("vector {}", {ListsOf<arrow::DoubleBuilder, double>({{{1, std::nan("")}}})});
  ASSERT_FALSE(nan.ok());
  EXPECT_THAT(std::string(nan.status().message()), HasSubstr("value 1 of the vector"));
}

TEST(FlagsEncoderTest, ListsTheColumnsThatAreSet) {
  Feature feature;
  for (const char* column : {"a", "b", "c"}) {
    feature.add_column(column);
  }
  feature.mutable_flags();
  const auto encoder = MakeFeatureEncoder(feature);
  const std::vector<Column> columns = {ColumnFrom(Int64s({1, 0, std::nullopt, std::nullopt})),
                                       ColumnFrom(Strings({"true", "0", "", "1"})),
                                       ColumnFrom(Doubles({1, 0, std::nullopt, 0.5}))};
  EncodedRows rows;

  ASSERT_TRUE(encoder->Observe(columns).ok());
  ASSERT_TRUE(encoder->Finish().ok());
  ASSERT_TRUE(encoder->Encode(columns, &rows).ok());

  EXPECT_EQ(encoder->info().rows(), 4);
  EXPECT_EQ(encoder->info().missing(), 1);
  EXPECT_THAT(encoder->info().value(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(rows.lengths, ElementsAre(3, 0, 1, 2));
  EXPECT_THAT(rows.values, ElementsAre(1, 2, 3, 0, 2, 3));
}

TEST(TextEncoderTest, MissingTextIsAnEmptyBag) {
  const Encoded encoded =
      Encode("text { hash_rows: 100 ngram: 0 }", {Strings({"one two one", std::nullopt, ""})});

  EXPECT_EQ(encoded.encoder->info().rows(), 100);
  EXPECT_EQ(encoded.encoder->info().missing(), 2);
  EXPECT_THAT(encoded.rows.lengths, ElementsAre(3, 0, 0, 0));
  EXPECT_EQ(encoded.rows.values[0], encoded.rows.values[2]);
  EXPECT_NE(encoded.rows.values[0], encoded.rows.values[1]);
}

TEST(CategoricalEncoderTest, APartWithoutAnyValueDoesNotDecideTheKind) {
  const auto nothing = std::make_shared<arrow::NullArray>(1);
  const Encoded encoded =
      Encode("categorical {}", {nothing, ListsOf<arrow::StringBuilder, std::string>(
                                             {std::vector<std::string>{}, {{"drama", "comedy"}}})});

  EXPECT_EQ(encoded.encoder->info().kind(), PreparedFeature::BAG);
  EXPECT_THAT(encoded.encoder->info().value(), ElementsAre("comedy", "drama"));
  // Missing, an empty list, two values; and the row that the side file lacks.
  EXPECT_THAT(encoded.rows.lengths, ElementsAre(1, 0, 2, 1));
  EXPECT_THAT(encoded.rows.values, ElementsAre(0, 2, 1, 0));
  const Encoded vectors =
      Encode("vector {}", {nothing, ListsOf<arrow::FloatBuilder, float>({{{3, 4}}})});
  EXPECT_THAT(vectors.rows.dense, ElementsAre(0, 0, 3, 4, 0, 0));
}

TEST(CategoricalEncoderTest, RefusesSingleValuesAndListsInOneColumn) {
  const auto encoded =
      TryEncode("categorical {}",
                {Strings({"drama"}), ListsOf<arrow::StringBuilder, std::string>({{{"drama"}}})});
  ASSERT_FALSE(encoded.ok());
  EXPECT_THAT(std::string(encoded.status().message()),
              HasSubstr("side.parquet: column \"c\": has lists, side.parquet has single values"));
}

}  // namespace
}  // namespace torii::data
