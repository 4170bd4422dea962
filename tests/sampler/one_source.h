// A configuration with one source on, by its name: tests that walk sampler::SourceNames() cover a
// new source by themselves.
#pragma once

#include <string>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "sampler/source.h"

namespace torii::sampler {

// A number becomes `draws`, a bool true, a message present; in_batch is on unless told otherwise.
inline SamplerConfig OneSource(const std::string& name, int64_t draws) {
  using google::protobuf::FieldDescriptor;
  SamplerConfig config;
  if (name == "in_batch") return config;
  config.set_in_batch(SamplerConfig::NONE);
  const auto& reflection = *config.GetReflection();
  const FieldDescriptor* const field = SamplerConfig::descriptor()->FindFieldByName(name);
  if (field == nullptr) {
    ADD_FAILURE() << "SamplerConfig has no field " << name;
    return config;
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      reflection.SetInt64(&config, field, draws);
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      reflection.SetBool(&config, field, true);
      break;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      reflection.MutableMessage(&config, field);
      break;
    default:
      ADD_FAILURE() << "SamplerConfig." << name << " does not turn a source on";
  }
  return config;
}

}  // namespace torii::sampler
