// Which kind of a part a configuration chooses: kinds are the fields of a oneof.
#pragma once

#include <string>

#include "base/check.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace torii {

// The name of the field that is set in the first oneof of `message`, as a configuration writes it
// ("bpr"); `unset` if none is. CHECK-fails if the message has no oneof.
inline std::string ChosenKind(const google::protobuf::Message& message,
                              const std::string& unset = "") {
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  TORII_CHECK(type.oneof_decl_count() > 0, std::string(type.full_name()), " has no oneof");
  const google::protobuf::FieldDescriptor* const chosen =
      message.GetReflection()->GetOneofFieldDescriptor(message, type.oneof_decl(0));
  return chosen == nullptr ? unset : std::string(chosen->name());
}

}  // namespace torii
