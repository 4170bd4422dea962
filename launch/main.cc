// torii: the command-line program.
#include <string>
#include <vector>

#include "launch/program.h"

int main(int argc, char** argv) {
  return torii::launch::RunProgram(std::vector<std::string>(argv + 1, argv + argc));
}
