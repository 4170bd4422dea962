// Parses protobuf text. Its errors name the place and the nearest field or value.
#pragma once

#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace torii::launch {

struct TextError {
  int line = 0;    // from 1
  int column = 0;  // from 1
  std::string message;
};

// The errors of parsing `text` into `message`, none if it was parsed. A number where text is wanted
// is its text. `places`, if given, receives where each field stands.
std::vector<TextError> ParseText(const std::string& text, google::protobuf::Message* message,
                                 google::protobuf::TextFormat::ParseInfoTree* places = nullptr);

std::vector<std::string> FieldNames(const google::protobuf::Descriptor& type);

// "there is no field 'x' in model (did you mean 'dim'?); its fields are ...".
std::string NoSuchField(const google::protobuf::Descriptor& type, const std::string& name);

}  // namespace torii::launch
