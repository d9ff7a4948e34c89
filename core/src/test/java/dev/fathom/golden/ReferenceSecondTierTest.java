package dev.fathom.golden;

class ReferenceSecondTierTest extends SecondTierContract {

  @Override
  protected String backend() {
    return "reference";
  }
}
