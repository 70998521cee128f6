"""Matrix form beside index form: ``dW = xᵀ dy`` for ``dW[k,h] = sum[n](x[n,k]*dy[n,h])``.

The form is read off a line's tree. Adjacent axes that always stand side by side count as one, and axes that every tensor of the
line has are those of a stack of matrices. A vector is a column. What a person would not write as matrices has no form: an
elementwise line without a product, a sum spread over rows, a quotient of matrices.
"""

from derive.matrices.forms import MatrixForm
from derive.matrices.layout import View, views
from derive.matrices.reading import matrix_of
from derive.matrices.spelling import matrix_latex, matrix_text

__all__ = ["MatrixForm", "View", "matrix_latex", "matrix_of", "matrix_text", "views"]
