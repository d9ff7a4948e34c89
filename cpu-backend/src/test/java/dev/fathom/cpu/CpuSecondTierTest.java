package dev.fathom.cpu;

import dev.fathom.golden.SecondTierContract;

class CpuSecondTierTest extends SecondTierContract {

  @Override
  protected String backend() {
    return "cpu";
  }
}
