// Where each field of a configuration was given: its place in a file, or the --set that assigned
// it.
#pragma once

#include <map>
#include <string>

#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace torii::launch {

class ConfigLocations {
 public:
  // Every field of `message`, which was parsed from the file `name` while `tree` was written. The
  // fields' former places are forgotten.
  void AddFile(const std::string& name, const google::protobuf::Message& message,
               const google::protobuf::TextFormat::ParseInfoTree& tree);
  // A --set assignment: `path` and everything below it.
  void AddAssignment(const std::string& path, const std::string& assignment);

  // Where the field at `path` ("eval.k[1]") was given: "my.txtpb:12:5" (the place of its
  // name, line and column from 1) or "--set train.epochs=0". Empty if it has its default.
  std::string Find(const std::string& path) const;

 private:
  struct Place {
    std::string text;
    bool with_all_below = false;
  };
  void AddMessage(const std::string& name, const std::string& prefix,
                  const google::protobuf::Message& message,
                  const google::protobuf::TextFormat::ParseInfoTree& tree);
  void AddField(const std::string& name, const std::string& path,
                const google::protobuf::Message& message,
                const google::protobuf::FieldDescriptor& field,
                const google::protobuf::TextFormat::ParseInfoTree& tree);
  // Forgets the places of `path`, of its elements and of what is below it.
  void Forget(const std::string& path);

  std::map<std::string, Place> places_;
};

}  // namespace torii::launch
