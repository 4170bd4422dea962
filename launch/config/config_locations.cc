#include "launch/config/config_locations.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace torii::launch {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// "my.txtpb:12:5", or "" if the parser recorded no place. `index` is -1 but for lists.
std::string PlaceOf(const std::string& name, const TextFormat::ParseInfoTree& tree,
                    const FieldDescriptor& field, int index) {
  const TextFormat::ParseLocation place = tree.GetLocation(&field, index);
  if (place.line < 0) return "";
  return absl::StrCat(name, ":", place.line + 1, ":", place.column + 1);
}

}  // namespace

void ConfigLocations::AddFile(const std::string& name, const Message& message,
                              const TextFormat::ParseInfoTree& tree) {
  AddMessage(name, "", message, tree);
}

void ConfigLocations::AddMessage(const std::string& name, const std::string& prefix,
                                 const Message& message, const TextFormat::ParseInfoTree& tree) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    AddField(name, absl::StrCat(prefix, field->name()), message, *field, tree);
  }
}

void ConfigLocations::AddField(const std::string& name, const std::string& path,
                               const Message& message, const FieldDescriptor& field,
                               const TextFormat::ParseInfoTree& tree) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    places_[path] = {PlaceOf(name, tree, field, -1)};
    const TextFormat::ParseInfoTree* below = tree.GetTreeForNested(&field, -1);
    if (below != nullptr) {
      AddMessage(name, path + ".", reflection.GetMessage(message, &field), *below);
    }
    return;
  }
  Forget(path);  // a list replaces the list of an earlier file
  const std::string first = PlaceOf(name, tree, field, 0);
  places_[path] = {first};
  // "k: [1, 2]" has one place, "k: 1 k: 2" has two.
  const int size = reflection.FieldSize(message, &field);
  const bool each_has_one = !PlaceOf(name, tree, field, size - 1).empty();
  for (int i = 0; i < size; ++i) {
    const std::string element = absl::StrCat(path, "[", i, "]");
    places_[element] = {each_has_one ? PlaceOf(name, tree, field, i) : first};
    const TextFormat::ParseInfoTree* below = tree.GetTreeForNested(&field, i);
    if (below != nullptr) {
      AddMessage(name, element + ".", reflection.GetRepeatedMessage(message, &field, i), *below);
    }
  }
}

void ConfigLocations::AddAssignment(const std::string& path, const std::string& assignment) {
  Forget(path);
  places_[path] = {absl::StrCat("--set ", assignment), /*with_all_below=*/true};
}

std::string ConfigLocations::Find(const std::string& path) const {
  const auto exact = places_.find(path);
  if (exact != places_.end()) return exact->second.text;
  for (size_t end = path.find_last_of(".["); end != std::string::npos && end > 0;
       end = path.find_last_of(".[", end - 1)) {
    const auto above = places_.find(path.substr(0, end));
    if (above != places_.end() && above->second.with_all_below) return above->second.text;
  }
  return "";
}

void ConfigLocations::Forget(const std::string& path) {
  places_.erase(path);
  for (const char* below : {".", "["}) {
    const std::string prefix = path + below;
    auto it = places_.lower_bound(prefix);
    while (it != places_.end() && it->first.starts_with(prefix)) it = places_.erase(it);
  }
}

}  // namespace torii::launch
